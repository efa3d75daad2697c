// Makes this browser hold everything that the demo shows: evaluated in the demo's page by
// `cargo xtask demo --peers`.
(async () => {
  /** Milliseconds after which whatever is missing is told instead of waited for. */
  const PATIENCE = 120_000;
  const isMedia = /\.(avif|gif|jpe?g|m4a|m4s|mp3|mp4|ogg|png|svg|webm|webp)$/i;

  const ready = await window.dcdn?.ready;
  if (ready?.mode !== 'p2p') throw new Error(`DCDN is not in use: ${ready?.reason ?? 'no script'}`);

  const media = [...document.querySelectorAll('img, video, audio, source, a[href]')];
  const urls = new Set(
    media
      .flatMap((it) => [it.currentSrc || it.src || it.href, it.poster])
      .filter((url) => url && new URL(url).origin === location.origin)
      .filter((url) => isMedia.test(new URL(url).pathname)),
  );
  for (const url of urls) {
    const response = await fetch(url);
    if (!response.ok) throw new Error(`${url}: ${response.status}`);
    await response.arrayBuffer();
  }

  // Delivered is not yet counted: the worker tells of it a moment later.
  const deadline = performance.now() + PATIENCE;
  for (;;) {
    const held = (await dcdn.stats()).urls.filter(
      (it) => it.length && it.bytes_http + it.bytes_p2p + it.bytes_cache >= it.length,
    );
    const wanted = held.filter((it) => urls.has(new URL(it.url, location).href));
    if (wanted.length > 0 && (wanted.length >= urls.size || performance.now() > deadline)) {
      return {
        resources: wanted.length,
        bytes: wanted.reduce((sum, it) => sum + it.length, 0),
      };
    }
    if (performance.now() > deadline) throw new Error('the content did not arrive');
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
})()
