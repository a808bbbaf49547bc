// venue: search nearby, look at one venue, check in.
import { group } from 'k6';
import { call, create, expect, load, seededId, userId } from './lib.js';

export { setup, teardown } from './lib.js';

const VENUES = 500;

export const options = load('venue', { 'http_req_duration{service:venue}': ['p(95)<400'] });

export default function venueFlow(data) {
  const { token } = data;
  const path = `/venue/${seededId('venue', VENUES)}`;
  group('venue', () => {
    for (const near of ['40.71,-74.00', '40.73,-73.99']) {
      const found = call('venue', 'GET', `/venue/search?near=${near}`, { name: '/venue/search' });
      expect(found, 'venue', 'venues found');
    }
    expect(call('venue', 'GET', path, { name: '/venue/{id}' }), 'venue', 'venue read');
    const body = { user_id: userId(data) };
    create('venue', `${path}/checkin`, 'checked in', { name: '/venue/{id}/checkin', body, token });
  });
}
