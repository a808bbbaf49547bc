// Eight services in turn at a constant rate of iterations, each by one of its two endpoints.
import http from 'k6/http';
import exec from 'k6/execution';

const { BASE_URL } = __ENV;

export const options = {
  scenarios: {
    steady: {
      executor: 'constant-arrival-rate', rate: Number(__ENV.PER_MINUTE), timeUnit: '1m', duration: __ENV.DURATION,
      preAllocatedVUs: 20, maxVUs: 60,
    },
  },
  thresholds: { http_req_failed: ['rate<0.05'] },
};

const endpoints = [
  ['auth', 'GET /auth/session', 'POST /auth/refresh'],
  ['chat', 'GET /chat/messages', 'GET /chat/conversations'],
  ['event', 'GET /event/search', 'POST /event'],
  ['interest', 'GET /interest/match', 'GET /interest/categories'],
  ['notification', 'GET /notification/inbox', 'GET /notification/updates'],
  ['plan', 'GET /plan/city', 'POST /plan'],
  ['user', 'GET /user/discovery', 'POST /user/media'],
  ['venue', 'GET /venue/search', 'POST /venue/{id}/checkin'],
];

export default function steady() {
  for (const [service, first, second] of endpoints) {
    const [method, name] = (exec.scenario.iterationInTest % 2 ? second : first).split(' ');
    const body = method === 'POST' ? '{}' : null;
    const headers = { 'Content-Type': 'application/json' };
    http.request(method, BASE_URL + name.replace('{id}', 'venue-1'), body, { headers, tags: { service, name } });
  }
}
