// Stands in for the site's server inside the test's service worker, because a
// test page has no server of ours behind it. It knows Range, If-Range, ETag and
// the manifest endpoint; everything else in these tests is the browser's own.
(() => {
  const files = new Map();
  const log = [];
  let down = false;
  let refusal = "not_found";

  self.fakeOrigin = {
    put: (url, bytes, etag, manifest) => files.set(url, { bytes, etag, manifest }),
    // A file that no memory would hold: zeros.
    putZeros: (url, length, etag, manifest) =>
      files.set(url, { bytes: { length, slice: (from, to) => new Uint8Array(to - from) }, etag, manifest }),
    changeAfter: (url, requests, bytes, etag) => Object.assign(files.get(url), { left: requests, next: { bytes, etag } }),
    redirectAway: (url) => Object.assign(files.get(url), { redirects: true }),
    manifestFirst: (url) => {
      const file = files.get(url);
      file.described = new Promise((resolve) => (file.describe = () => setTimeout(resolve, 50)));
    },
    // Answers every request with the whole file: "known" length, "unknown", or "encoded".
    ignoreRanges: (url, length) => Object.assign(files.get(url), { whole: length, taken: 0 }),
    // Most bytes that any one answer has been read of a file that is sent whole.
    taken: (url) => files.get(url).taken,
    setDown: (value) => (down = value),
    // The code with which the manifests are refused that there are not.
    refuseWith: (code) => (refusal = code),
    log: () => log.splice(0),
  };

  // A body that is made as it is read.
  const inPieces = (file) => {
    let at = 0;
    const pull = (controller) => {
      const piece = file.bytes.slice(at, (at += 65536));
      if (piece.length === 0) return controller.close();
      file.taken = Math.max(file.taken, at);
      controller.enqueue(piece);
    };
    return new ReadableStream({ pull }, { highWaterMark: 0 });
  };

  self.fetch = async (request) => {
    const url = new URL(typeof request === "string" ? request : request.url, self.location.origin);
    const path = url.pathname + url.search;
    const range = typeof request === "string" ? null : request.headers.get("Range");
    log.push(range ? `${path} ${range}` : path);
    if (down) throw new TypeError("Failed to fetch");
    if (url.pathname === "/dcdn/manifest") {
      const file = files.get(url.searchParams.get("url"));
      if (!file?.manifest) {
        const error = { code: refusal, message: "no such file" };
        return new Response(JSON.stringify({ error }), { headers: { "Content-Type": "application/json" } });
      }
      file.describe?.();
      const etag = `"${file.manifest.id}"`;
      if (request.headers.get("If-None-Match") === etag) return new Response(null, { status: 304 });
      return new Response(file.manifest.frame, { headers: { ETag: etag } });
    }
    const file = files.get(path);
    if (!file) return new Response("not here", { status: 404 });
    await file.described;
    // To another origin: a request in same-origin mode fails.
    if (file.redirects && request.mode === "same-origin") throw new TypeError("Failed to fetch");
    if (file.next && file.left-- <= 0) Object.assign(file, file.next, { next: undefined });
    const headers = { "Content-Type": "image/jpeg", "Accept-Ranges": "bytes" };
    if (file.etag) headers.ETag = file.etag;
    if (file.whole) {
      if (file.whole !== "unknown") headers["Content-Length"] = `${file.bytes.length}`;
      if (file.whole === "encoded") headers["Content-Encoding"] = "x-nothing";
      return new Response(inPieces(file), { headers });
    }
    const match = /^bytes=(\d+)-(\d*)$/.exec(range ?? "");
    const ifRange = request.headers.get("If-Range");
    const total = file.bytes.length;
    if (!match || (ifRange && (ifRange !== file.etag || ifRange.startsWith("W/")))) {
      headers["Content-Length"] = `${total}`;
      return new Response(file.bytes, { headers });
    }
    const first = Number(match[1]);
    if (first >= total) return new Response(null, { status: 416, headers: { "Content-Range": `bytes */${total}` } });
    const last = Math.min(match[2] === "" ? total - 1 : Number(match[2]), total - 1);
    headers["Content-Range"] = `bytes ${first}-${last}/${total}`;
    return new Response(file.bytes.slice(first, last + 1), { status: 206, headers });
  };
})();
