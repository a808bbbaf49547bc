// notification: the inbox, what is new since, and one push.
import { group } from 'k6';
import { call, create, expect, load, userId } from './lib.js';

export { setup, teardown } from './lib.js';

export const options = load('notification', {
  'http_req_duration{service:notification}': ['p(95)<100'],
  'http_req_duration{name:/notification/updates}': ['p(95)<100'],
});

export default function notificationFlow(data) {
  const { token } = data;
  group('notification', () => {
    expect(call('notification', 'GET', '/notification/inbox', { token }), 'notification', 'inbox listed');
    const updates = call('notification', 'GET', '/notification/updates?since=42', { name: '/notification/updates', token });
    expect(updates, 'notification', 'updates received');
    const body = { user_id: userId(data), text: 'Doors open' };
    create('notification', '/notification/send', 'notification sent', { body, token });
  });
}
