// interest: the categories, then three matches; each says whether the cache had it.
import { group } from 'k6';
import { cacheHits, call, expect, load, userId } from './lib.js';

export { setup, teardown } from './lib.js';

export const options = load('interest', {
  'http_req_duration{service:interest}': ['p(95)<20'],
  'cache_hits{service:interest}': ['rate>0.6'],
});

export default function interestFlow(data) {
  group('interest', () => {
    expect(call('interest', 'GET', '/interest/categories'), 'interest', 'categories listed');
    for (const mood of ['music', 'food', 'night']) {
      const path = `/interest/match?user=${userId(data)}&mood=${mood}`;
      const match = call('interest', 'GET', path, { name: '/interest/match' });
      if (expect(match, 'interest', 'interests matched')) {
        cacheHits.add(match.json('cache') === 'hit', { service: 'interest' });
      }
    }
  });
}
