// chat: open the conversations, read back through one of them, answer.
import { group } from 'k6';
import { call, create, expect, load, userId } from './lib.js';

export { setup, teardown } from './lib.js';

export const options = load('chat', {
  'http_req_duration{service:chat}': ['p(95)<300'],
  'http_req_duration{name:/chat/messages}': ['p(95)<320'],
});

export default function chatFlow(data) {
  const { token } = data;
  group('chat', () => {
    expect(call('chat', 'GET', '/chat/conversations', { token }), 'chat', 'conversations listed');
    for (const page of [1, 2, 3]) {
      const messages = call('chat', 'GET', `/chat/messages?page=${page}`, { name: '/chat/messages', token });
      expect(messages, 'chat', 'messages retrieved');
    }
    create('chat', '/chat/send', 'message sent', { body: { user_id: userId(data), text: 'See you at 9' }, token });
  });
}
