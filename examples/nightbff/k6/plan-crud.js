// plan: resolve the city, make two plans, read and change the second.
import { group } from 'k6';
import { call, create, expect, load, userId } from './lib.js';

export { setup, teardown } from './lib.js';

export const options = load('plan', {
  'http_req_duration{service:plan}': ['p(95)<300'],
  'checks{check:plan created}': ['rate>0.95'],
  'checks{check:city resolved}': ['rate>0.95'],
});

export default function planFlow(data) {
  const { token } = data;
  const friday = { user_id: userId(data), title: 'Friday out', city: 'new york' };
  const saturday = { ...friday, title: 'Saturday out' };
  group('plan', () => {
    expect(call('plan', 'GET', '/plan/city?name=new+york', { name: '/plan/city' }), 'plan', 'city resolved');
    create('plan', '/plan', 'plan created', { body: friday, token });
    const path = create('plan', '/plan', 'plan created', { body: saturday, token });
    if (path === null) return;
    expect(call('plan', 'GET', path, { name: '/plan/{id}', token }), 'plan', 'plan read');
    const changed = { ...saturday, city: 'new jersey' };
    expect(call('plan', 'PUT', path, { name: '/plan/{id}', body: changed, token }), 'plan', 'plan changed');
  });
}
