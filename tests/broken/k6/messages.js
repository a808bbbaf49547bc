// A healthy test without any HTTP in its load: messages over a WebSocket, each answered by the same text.
import { check } from 'k6';
import { Trend } from 'k6/metrics';
import ws from 'k6/ws';

const url = `${__ENV.BASE_URL.replace('http', 'ws')}/chat/socket`;
const roundTrip = new Trend('round_trip', true);

export const options = {
  scenarios: { chat: { executor: 'constant-vus', vus: 2, duration: '5s' } },
  thresholds: { checks: ['rate>0.95'], round_trip: ['p(95)<500'] },
};

export default function messages() {
  const answer = ws.connect(url, { tags: { service: 'chat' } }, (socket) => {
    let sent = 0;
    let sentAt = 0;
    const say = () => {
      sentAt = Date.now();
      sent += 1;
      socket.send(`message ${sent}`);
    };
    socket.on('open', say);
    socket.on('message', () => {
      roundTrip.add(Date.now() - sentAt, { service: 'chat' });
      if (sent === 20) socket.close();
      else say();
    });
  });
  check(answer, { connected: (r) => r && r.status === 101 }, { service: 'chat' });
}
