// Across services: someone finds people, then a venue to meet at. The target is for the whole flow.
import userFlow from './user.js';
import venueFlow from './venue.js';
import { flow, people, think } from './lib.js';

export { setup, teardown } from './lib.js';

export const options = people({
  'flow_duration{flow:meet}': ['p(95)<500'],
  'http_req_duration{service:user}': ['p(95)<300'],
  'http_req_duration{service:venue}': ['p(95)<400'],
});

export function meetFlow(data) {
  flow('meet', () => {
    userFlow(data);
    venueFlow(data);
  });
}

export default function userVenueIntegration(data) {
  meetFlow(data);
  think();
}
