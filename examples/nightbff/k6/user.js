// user: discover people, read and save a profile, upload a picture.
import { group } from 'k6';
import { call, expect, load, mediaPipeline, status, userId } from './lib.js';

export { setup, teardown } from './lib.js';

export const options = load('user', {
  'http_req_duration{service:user}': ['p(95)<300'],
  'checks{check:people discovered}': ['rate>0.95'],
  media_pipeline: ['max<2000'],
});

// STORY=throws looks for the token where setup() no longer puts it: every iteration ends in a TypeError.
const tokenOf = (data) => (__ENV.STORY === 'throws' ? data.session.token : data.token);

export default function userFlow(data) {
  const token = tokenOf(data);
  const id = userId(data);
  const profile = { name: '/user/profile/{id}', token };
  group('user', () => {
    const discovery = call('user', 'GET', '/user/discovery?radius=5km', { name: '/user/discovery', token });
    expect(discovery, 'user', 'people discovered');
    expect(call('user', 'GET', `/user/profile/${id}`, profile), 'user', 'profile read');
    const body = { user_id: id, bio: 'Night owl' };
    expect(call('user', 'PUT', `/user/profile/${id}`, { ...profile, body }), 'user', 'profile saved');
    const picture = call('user', 'POST', '/user/media', { body: { user_id: id, bytes: 48213 }, token });
    if (expect(picture, 'user', 'picture accepted', status(202))) {
      mediaPipeline.add(picture.json('pipeline_ms'), { service: 'user' });
    }
  });
}
