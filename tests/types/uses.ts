// Every member of the API as a page uses it. Compiled strictly, and not run: `docs/pages.md` has what runs.

import { dcdn, type Policy, type Settings, type Source } from 'dcdn';

export async function everything(): Promise<string[]> {
  const { mode, reason } = await dcdn.ready;
  const said: string[] = [mode, reason ?? 'p2p'];

  const { urls, totals, peers } = await dcdn.stats();
  const shared: number = totals.bytes_p2p + totals.bytes_uploaded + peers;
  for (const { url, length, ttfb_ms, spans } of urls) {
    const sources: Source[] = spans.map(([, , source]) => source);
    said.push(`${url}: ${length ?? 'unknown'}, ${ttfb_ms?.toFixed(1)}, ${sources.join()}, ${shared}`);
  }

  const stops: (() => void)[] = [
    dcdn.on('progress', ({ url, loaded, total, source }) => said.push(url, String(loaded / total), source)),
    dcdn.on('peer', ({ peer, state, peers: open }) => said.push(peer, state, open.toFixed())),
    dcdn.on('done', ({ url }) => said.push(url)),
    dcdn.on('error', ({ url, message }) => said.push(url, message)),
  ];
  stops.forEach((stop) => stop());
  // @ts-expect-error: there is no such event.
  dcdn.on('finished', () => {});

  const policy: Policy = 'adaptive';
  const settings: Settings = { policy, slack_ms: 500, slack_percent: 10, mixed_http_percent: 50, coord: '' };
  for (const { ok, error } of [
    await dcdn.configure(settings),
    await dcdn.configure({ policy: undefined }),
    await dcdn.consent(true),
    await dcdn.clear(),
    await dcdn.unregister(),
  ]) {
    said.push(ok ? 'done' : (error ?? ''));
  }
  // @ts-expect-error: there is no such policy.
  await dcdn.configure({ policy: 'fast' });

  const { signal } = new AbortController();
  const onprogress = ({ url, loaded }: { url: string; loaded: number }) => said.push(url, loaded.toFixed());
  for (const { url, ok, bytes } of await dcdn.prefetch(['/a.jpg', new URL('/b.jpg', location.href)], { onprogress, signal })) {
    said.push(`${url} ${ok} ${bytes}`);
  }
  await dcdn.prefetch('/a.jpg');
  const { bytes } = await dcdn.forget('/a.jpg');

  const found = await dcdn.diagnose();
  const slow = found.peers.filter(({ rtt_ms }) => (rtt_ms ?? 0) > 500).map(({ peer }) => peer);
  return [...said, ...slow, ...found.sentences, bytes.toFixed(), String(window.dcdn === dcdn)];
}
