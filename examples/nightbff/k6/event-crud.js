// event: search twice, then the life of one event.
import { group } from 'k6';
import { call, create, expect, load, userId } from './lib.js';

export { setup, teardown } from './lib.js';

export const options = load('event', {
  'http_req_duration{service:event}': ['p(95)<250', 'avg<150'],
  'http_req_duration{name:/event/search}': ['p(95)<200'],
  'group_duration{group:::event::crud}': ['p(95)<1000'],
  rows_created: ['count>50'],
});

function search() {
  for (const query of ['q=jazz&city=nyc', 'q=rooftop&from=2026-11-01']) {
    const found = call('event', 'GET', `/event/search?${query}`, { name: '/event/search' });
    expect(found, 'event', 'search answered');
  }
}

function crud(data) {
  const { token } = data;
  const body = { user_id: userId(data), title: 'Rooftop jazz', seats: 40 };
  const path = create('event', '/event', 'event created', { body, token });
  if (path === null) return;
  expect(call('event', 'GET', path, { name: '/event/{id}', token }), 'event', 'event read');
  expect(call('event', 'DELETE', path, { name: '/event/{id}', token }), 'event', 'event deleted');
}

export default function eventFlow(data) {
  group('event', () => {
    group('search', search);
    group('crud', () => crud(data));
  });
}
