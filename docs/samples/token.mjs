// A join token for DCDN, with Node's own library alone: node token.mjs SECRET_FILE [ORIGIN]

import { createHmac } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { argv } from 'node:process';
import { pathToFileURL } from 'node:url';

/** A token for pages of `origin`, or of any. `secret` is what is in the server's file. */
export function joinToken(secret, origin, seconds = 600) {
  const claims = { exp: Math.floor(Date.now() / 1000) + seconds, aud: origin };
  const part = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const signed = `${part({ alg: 'HS256', typ: 'JWT' })}.${part(claims)}`;
  return `${signed}.${createHmac('sha256', secret).update(signed).digest('base64url')}`;
}

if (import.meta.url === pathToFileURL(argv[1]).href) {
  console.log(joinToken(readFileSync(argv[2], 'utf8').replace(/[\r\n]+$/, ''), argv[3]));
}
