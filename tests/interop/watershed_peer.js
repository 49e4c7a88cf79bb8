'use strict';
/*
 * One side of a session on npm `watershed`, the library of the original programs. Driven by JSON lines.
 *
 * usage: node watershed_peer.js COPY PORT PATH      COPY: `manta` for the copy that npm `manta` uses, else `watershed`
 * stdin   {"text": "..."} | {"binary": "BASE64"} | {"end": "REASON"} | {"destroy": true}
 * stdout  {"event": "ready" | "text" | "binary" | "ping" | "reset" | "end" | "refused" | "wrote", ...}
 *         "wrote" lists, for what was just sent, the length and the first bytes of every write to the socket
 */
const http = require('http');
const readline = require('readline');

const [copy, port, path] = process.argv.slice(2);
const { Watershed } = require(copy === 'manta'
  ? require.resolve('watershed', { paths: [require.resolve('manta')] })
  : 'watershed');

const say = (event, fields) => console.log(JSON.stringify({ event, ...fields }));

function drive(peer, socket) {
  let writes = [];
  const write = socket.write.bind(socket);
  socket.write = (data, ...rest) => {
    writes.push({ size: data.length, start: data.subarray(0, 16).toString('hex') });
    return write(data, ...rest);
  };
  peer.on('text', (text) => say('text', { text }));
  peer.on('binary', (data) => say('binary', { binary: data.toString('base64') }));
  peer.on('ping', (data) => say('ping', { binary: data.toString('base64') }));
  peer.on('connectionReset', () => say('reset'));
  peer.on('end', (code, reason) => {
    say('end', { code, reason });
    process.exit(0);
  });
  readline.createInterface({ input: process.stdin }).on('line', (line) => {
    const order = JSON.parse(line);
    writes = [];
    if ('text' in order) peer.send(order.text);
    if ('binary' in order) peer.send(Buffer.from(order.binary, 'base64'));
    if ('end' in order) peer.end(order.end);
    if (order.destroy) process.exit(0);
    say('wrote', { writes });
  }).on('close', () => process.exit(0));
}

const shed = new Watershed();
const key = shed.generateKey();
// The headers of the original's front door, and no other: there is no Sec-WebSocket-Version among them.
const headers = { connection: 'upgrade', upgrade: 'websocket', 'sec-websocket-key': key };
const request = http.request({ host: '127.0.0.1', port, path, headers });
request.on('response', (response) => {
  say('refused', { status: response.statusCode });
  process.exit(0);
});
request.on('upgrade', (response, socket, head) => {
  const peer = shed.connect(response, socket, head, key);
  say('ready', { headers: response.rawHeaders });
  drive(peer, socket);
});
request.end();
