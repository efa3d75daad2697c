// What a person does in front of a player; put before the scripts that the players' tests run.

/** The page's media element. */
const media = document.querySelector('video, audio');

/** A sequence of numbers from 0 to 1 that `seed` alone decides (mulberry32). */
function dice(seed) {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Waits until a moment after `place` has been played. */
function playedFrom(place) {
  return until(`${place} to be played`, () => {
    if (media.error) throw new Error(`media error ${media.error.code}: ${media.error.message}`);
    return media.currentTime > place + 0.1 && !media.seeking;
  });
}

/**
 * Presses play once the page has met somebody, and seeks so many times, forwards and back in
 * turn; plays a moment at each place.
 */
async function seekAround(seed, times) {
  const random = dice(seed);
  await until('a peer', async () => (await dcdn.stats()).peers > 0);
  start();
  await until('the player to be there', () => media.readyState >= HTMLMediaElement.HAVE_METADATA);
  await media.play();
  await playedFrom(0);
  for (let turn = 0; turn < times; turn++) {
    const forwards = turn % 2 === 0;
    const [from, to] = forwards ? [media.currentTime, media.duration - 1] : [0, media.currentTime];
    const place = from + random() * (to - from);
    const sought = next(media, 'seeked');
    media.currentTime = place;
    await sought;
    await playedFrom(place);
  }
}

/** Plays all of it, four times as fast as it is meant to be, and says what has been seen. */
async function playThrough() {
  media.pause();
  const sought = next(media, 'seeked');
  media.currentTime = 0;
  await sought;
  media.playbackRate = 4;
  const ended = next(media, 'ended');
  await media.play();
  await ended;
  const played = Array.from(media.played, (_, i) => [media.played.start(i), media.played.end(i)]);
  return { duration: media.duration, played };
}
