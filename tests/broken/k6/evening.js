// The test of which every case here is a variation: log in, find an event and add one, find a venue and look at it.
// ODDITY names what is wrong with the script or how it was changed; without one it is the healthy test.
import http from 'k6/http';
import { check, group, sleep } from 'k6';
import exec from 'k6/execution';

const { BASE_URL, ODDITY } = __ENV;
const SEED_URL = __ENV.SEED_URL || BASE_URL;
const VENUE_URL = __ENV.VENUE_URL || BASE_URL;
const USERS = Number(__ENV.USERS || 500);
const EXECUTOR = __ENV.EXECUTOR || 'arrivals';
const RATE = Number(__ENV.RATE || 7); // iterations per second
const VUS = Number(__ENV.VUS || 2); // people at once, where their number is fixed
const MAX_VUS = Number(__ENV.MAX_VUS || 20);
const DURATION = __ENV.DURATION || '6s';
const TIMEOUT = __ENV.TIMEOUT || '500ms';

const is = (oddity) => ODDITY === oddity;

const journey = { journey: is('tag-changed') ? 'night' : 'evening' };
const executors = {
  arrivals: {
    executor: 'constant-arrival-rate', rate: RATE, duration: DURATION, preAllocatedVUs: Math.min(MAX_VUS, 8), maxVUs: MAX_VUS,
  },
  people: { executor: 'constant-vus', vus: VUS, duration: DURATION },
  once: { executor: 'shared-iterations', vus: 1, iterations: 1 },
};

const thresholds = {
  checks: ['rate>0.95'],
  http_req_failed: ['rate<0.05'],
  'http_req_duration{service:event}': [is('threshold-weakened') ? 'p(95)<2000' : 'p(95)<300'],
  'http_req_duration{service:venue}': ['p(95)<100'],
};
if (is('checks-threshold-weakened')) thresholds.checks = ['rate>0.5'];
if (is('threshold-removed')) delete thresholds['http_req_duration{service:venue}'];
if (is('threshold-mistyped')) {
  delete thresholds['http_req_duration{service:venue}'];
  thresholds['http_req_duration{service:vennue}'] = ['p(95)<100'];
}
const aborting = [{ threshold: 'rate<0.05', abortOnFail: true, delayAbortEval: '1s' }];
if (is('aborting-threshold')) thresholds.http_req_failed = aborting;
if (is('aborting-threshold-tagged')) thresholds['http_req_failed{service:venue}'] = aborting;

export const options = {
  scenarios: { evening: { ...executors[EXECUTOR], tags: journey } },
  thresholds,
  setupTimeout: is('setup-hangs') ? '1s' : '20s',
};

function call(service, method, path, { name = path, body = null, token = null } = {}) {
  const root = service === 'venue' ? VENUE_URL : BASE_URL;
  const headers = { Authorization: `Bearer ${is('wrong-token') ? 'none' : token}`, 'Content-Type': 'application/json' };
  const tags = is('name-per-request') ? { service } : { service, name };
  return http.request(method, root + path, body && JSON.stringify(body), { headers, tags, timeout: TIMEOUT });
}

function expect(response, service, what, status = 200) {
  const wanted = is('checks-fail') ? 418 : status;
  return check(response, { [what]: (answer) => answer.status === wanted }, { service });
}

export function setup() {
  const tags = { name: '/seed' };
  const headers = { 'Content-Type': 'application/json' };
  const answer = http.post(`${SEED_URL}/seed`, JSON.stringify({ users: USERS }), { headers, tags });
  check(answer, { 'users seeded': () => answer.status === 201 && answer.json('seeded') > 0 });
  if (is('setup-hangs')) sleep(5);
  if (is('setup-throws')) return { token: answer.json('session').token }; // the answer has no session: a TypeError
  return { token: answer.status === 201 ? answer.json('token') : 'none' };
}

export function teardown() {
  check(http.get(`${SEED_URL}/healthz`, { tags: { name: '/healthz' } }), { 'still healthy': (r) => r.status === 200 });
}

function auth({ token }, id) {
  const login = call('auth', 'POST', '/auth/login', { body: { login: id }, token });
  expect(login, 'auth', 'logged in');
  if (is('throws-after-first')) login.json('session').id.toString(); // the answer has no session: a TypeError
  expect(call('auth', 'GET', '/auth/session', { token }), 'auth', 'session active');
}

function event({ token }, id) {
  const path = `/event/search?q=${exec.scenario.iterationInTest}`;
  const found = call('event', 'GET', path, { name: '/event/search', token });
  if (!is('check-removed')) expect(found, 'event', 'search answered');
  if (is('endpoint-removed')) return;
  const created = call('event', 'POST', '/event', { body: { user_id: id, title: 'Rooftop jazz' }, token });
  expect(created, 'event', 'event created', 201);
  if (!is('endpoint-added') || created.status !== 201) return;
  const added = call('event', 'GET', `/event/${created.json('id')}`, { name: '/event/{id}', token });
  expect(added, 'event', 'event read');
}

function venue({ token }, number) {
  const found = call('venue', 'GET', `/venue/search?near=${number}`, { name: '/venue/search', token });
  expect(found, 'venue', 'venues found');
  const path = `/venue/venue-${String(number).padStart(5, '0')}`;
  expect(call('venue', 'GET', path, { name: '/venue/{id}', token }), 'venue', 'venue read');
}

// Keeps the load generator busy, as scripts do that parse large bodies.
function compute() {
  let sum = 0;
  for (let i = 0; i < Number(__ENV.LOOPS || 0); i += 1) sum += Math.sqrt(i);
  return sum;
}

export default function evening(data) {
  const number = 1 + ((exec.scenario.iterationInTest * 37) % 500);
  const id = `user-${String(number).padStart(5, '0')}`;
  if (is('throws-first')) data.session.token.toString(); // setup() returns no session: a TypeError
  if (is('branch-never-taken') && data.token !== 'someone') return;
  if (is('test-abort') && exec.scenario.iterationInTest === 20) exec.test.abort('no users left');
  if (is('test-fail') && exec.scenario.iterationInTest === 20) exec.test.fail('no users left');
  compute();
  group(is('group-renamed') ? 'night out' : 'evening', () => {
    auth(data, id);
    event(data, id);
    if (!is('service-vanished')) venue(data, number);
  });
  if (EXECUTOR === 'people') sleep(0.1);
}
