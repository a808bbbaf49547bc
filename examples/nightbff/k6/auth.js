// auth: log in, show the token, renew it.
import { group } from 'k6';
import { call, expect, load, userId } from './lib.js';

export { setup, teardown } from './lib.js';

export const options = load('auth', { 'http_req_duration{service:auth}': ['p(95)<30'] });

export default function authFlow(data) {
  group('auth', () => {
    const login = call('auth', 'POST', '/auth/login', { body: { login: userId(data) } });
    if (!expect(login, 'auth', 'logged in')) return;
    const token = login.json('token');
    expect(call('auth', 'GET', '/auth/session', { token }), 'auth', 'session active');
    expect(call('auth', 'POST', '/auth/refresh', { token, body: {} }), 'auth', 'token renewed');
  });
}
