'use strict';
// The native part of aws-lambda-ric, over an inherited socket that speaks the Lambda Runtime API.
// Like the compiled client: next() waits off the event loop's thread, done() and error() are synchronous.

const fs = require('fs');

const FD = Number(process.env.TAILORBIRD_RUNTIME_FD);
delete process.env.TAILORBIRD_RUNTIME_FD;
const BASE = '/2018-06-01/runtime/invocation/';
const END_OF_HEAD = Buffer.from('\r\n\r\n');
const CHUNK_BYTES = 262144;

const chunk = Buffer.allocUnsafe(CHUNK_BYTES);
let unread = Buffer.alloc(0);

function write(buffer) {
  for (let at = 0; at < buffer.length; ) at += fs.writeSync(FD, buffer, at);
}

function post(path, body, extra) {
  const bytes = Buffer.from(body, 'utf8');
  const head = `POST ${BASE}${path} HTTP/1.1\r\nContent-Type: application/json\r\n${extra}Content-Length: ${bytes.length}\r\n\r\n`;
  write(bytes.length < CHUNK_BYTES ? Buffer.concat([Buffer.from(head, 'latin1'), bytes]) : Buffer.from(head, 'latin1'));
  if (bytes.length >= CHUNK_BYTES) write(bytes);
}

function more() {
  return new Promise((resolve, reject) => {
    fs.read(FD, chunk, 0, CHUNK_BYTES, null, (error, count) => {
      if (error) return reject(error);
      if (count === 0) return reject(new Error('the Runtime API closed the connection'));
      unread = Buffer.concat([unread, chunk.subarray(0, count)]);
      resolve();
    });
  });
}

async function response() {
  let end;
  while ((end = unread.indexOf(END_OF_HEAD)) < 0) await more();
  const headers = {};
  for (const line of unread.toString('utf8', 0, end).split('\r\n').slice(1)) {
    const colon = line.indexOf(':');
    headers[line.slice(0, colon).toLowerCase()] = line.slice(colon + 1).trim();
  }
  const start = end + END_OF_HEAD.length;
  const size = Number(headers['content-length'] || 0);
  if (unread.length < start + size) {
    const parts = [unread];
    let have = unread.length;
    while (have < start + size) {
      unread = Buffer.alloc(0);
      await more();
      parts.push(unread);
      have += unread.length;
    }
    unread = Buffer.concat(parts);
  }
  const body = unread.toString('utf8', start, start + size);
  unread = unread.subarray(start + size);
  return { headers, body };
}

module.exports = {
  initializeClient() {},
  async next() {
    write(Buffer.from(`GET ${BASE}next HTTP/1.1\r\n\r\n`));
    const { headers, body } = await response();
    headers['lambda-runtime-deadline-ms'] = Number(headers['lambda-runtime-deadline-ms']);
    return { bodyJson: body, headers };
  },
  done(id, body) {
    post(`${id}/response`, body, '');
  },
  error(id, body, xray) {
    let type = 'Unhandled';
    try {
      type = String(JSON.parse(body).errorType || type);
    } catch {
      // the body goes as it is; only the header falls back
    }
    post(`${id}/error`, body, `Lambda-Runtime-Function-Error-Type: ${encodeURIComponent(type)}\r\n`);
  },
};
