// What all scripts share: one way to call a service, one setup, two load profiles.
import http from 'k6/http';
import { check, group, sleep } from 'k6';
import exec from 'k6/execution';
import { Counter, Gauge, Rate, Trend } from 'k6/metrics';

const BASE_URL = __ENV.BASE_URL || 'http://127.0.0.1:8099';
const DURATION = __ENV.DURATION || '20s';
const RATE = Number(__ENV.RATE || 6); // iterations per second, where the rate is fixed
const VUS = Number(__ENV.VUS || 20); // people at once, where their number is fixed
const USERS = Number(__ENV.USERS || 10000);

export const cacheHits = new Rate('cache_hits');
export const rowsCreated = new Counter('rows_created');
export const mediaPipeline = new Trend('media_pipeline', true);
const flowDuration = new Trend('flow_duration', true);
const seededUsers = new Gauge('seeded_users');

export const status = (expected) => (response) => response.status === expected;

// Sends one request, tagged with its service and with the template of its path as its name.
export function call(service, method, path, { name = path, body = null, token = null } = {}) {
  const headers = { 'Content-Type': 'application/json' };
  if (token) headers.Authorization = `Bearer ${token}`;
  const tags = service ? { service, name } : { name };
  return http.request(method, BASE_URL + path, body && JSON.stringify(body), { headers, tags });
}

// Checks a response under a name that targets can refer to, as in checks{check:plan created}.
export function expect(response, service, what, isTrue = status(200)) {
  return check(response, { [what]: isTrue }, { service });
}

// Writes a row; answers its path, or null if the service refused.
export function create(service, path, what, { body, name = path, token }) {
  const response = call(service, 'POST', path, { name, body, token });
  if (!expect(response, service, what, status(201))) return null;
  rowsCreated.add(1, { service });
  return `${path}/${response.json('id')}`;
}

// Seeds the users that every script refers to; what it returns reaches each iteration as `data`.
export function setup() {
  const response = call(null, 'POST', '/seed', { body: { users: USERS } });
  const ok = check(response, { 'users seeded': status(201) });
  const seeded = ok ? response.json() : { seeded: 0, token: null };
  seededUsers.add(seeded.seeded);
  return { token: seeded.token, users: USERS };
}

export function teardown() {
  check(call(null, 'GET', '/healthz'), { 'still healthy': status(200) });
}

// The id of a seeded user: another one in each iteration, the same ones in each run.
export function userId(data) {
  return seededId('user', data.users);
}

export function seededId(table, rows) {
  const number = 1 + ((exec.scenario.iterationInTest * 7919) % rows);
  return `${table}-${String(number).padStart(5, '0')}`;
}

// Pauses as a person would, 0.3 s to 0.7 s; no two neighbours alike, and no chance involved.
export function think() {
  sleep(0.3 + 0.1 * ((exec.vu.idInTest + exec.vu.iterationInInstance) % 5));
}

// A group that takes part in the cross-service target: its whole duration goes to flow_duration.
export function flow(name, steps) {
  const start = Date.now();
  group(name, steps);
  flowDuration.add(Date.now() - start, { flow: name });
}

// One service at a fixed rate of iterations.
export function load(service, thresholds) {
  const scenario = { executor: 'constant-arrival-rate', rate: RATE, timeUnit: '1s', duration: DURATION };
  return {
    scenarios: { load: { ...scenario, preAllocatedVUs: 20, maxVUs: 60, tags: { journey: service } } },
    thresholds: { checks: ['rate>0.95'], [`http_req_failed{service:${service}}`]: ['rate<0.05'], ...thresholds },
  };
}

// A fixed number of people who pause between their steps.
export function people(thresholds) {
  return {
    scenarios: { people: { executor: 'constant-vus', vus: VUS, duration: DURATION } },
    thresholds: {
      http_req_failed: ['rate<0.02'],
      checks: [{ threshold: 'rate>0.5', abortOnFail: true, delayAbortEval: '10s' }],
      ...thresholds,
    },
  };
}
