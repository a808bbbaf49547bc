// Across all eight services: one evening of one person with the mobile app.
import authFlow from './auth.js';
import chatFlow from './chat.js';
import eventFlow from './event-crud.js';
import interestFlow from './interest.js';
import notificationFlow from './notification.js';
import planFlow from './plan-crud.js';
import { meetFlow } from './user-venue-integration.js';
import { people, think } from './lib.js';

export { setup, teardown } from './lib.js';

export const options = people({
  http_req_duration: ['p(95)<200'],
  'http_req_duration{service:auth}': ['p(95)<30'],
  'http_req_duration{service:chat}': ['p(95)<300'],
  'http_req_duration{service:event}': ['p(95)<250'],
  'http_req_duration{service:interest}': ['p(95)<20'],
  'http_req_duration{service:user}': ['p(95)<300'],
  'http_req_duration{service:venue}': ['p(95)<400'],
  'flow_duration{flow:meet}': ['p(95)<500'],
  cache_hits: ['rate>0.7'],
});

const evening = [authFlow, notificationFlow, interestFlow, eventFlow, meetFlow, planFlow, chatFlow];

export default function mobileAppComprehensive(data) {
  for (const part of evening) {
    part(data);
    think();
  }
}
