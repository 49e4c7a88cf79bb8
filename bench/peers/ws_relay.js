'use strict';
/*
 * A relay like the reflector, with npm's `ws`. It speaks the protocol of docs/protocol.md, part 1.
 * Usage: node ws_relay.js [PEM]: with the file, which holds a private key and a certificate, it speaks TLS.
 *
 * Its settings are fair: no compression, and native unmasking if bufferutil is installed. Back-pressure is by the
 * library's public functions: a source is paused while its destination has more than HIGH_WATER unsent bytes.
 */
const fs = require('fs');
const http = require('http');
const https = require('https');
const { WebSocket, WebSocketServer } = require('ws');

const HIGH_WATER = 4 << 20;
const MAX_MESSAGE = 16 << 20;
const WAIT_PULSE_MS = 2000;
const ROUTE = /^\/attach\/([^/]+)\/(master|slave)$/;

const sessions = new Map();
const upgrader = new WebSocketServer({ noServer: true, perMessageDeflate: false, maxPayload: MAX_MESSAGE });

function refuse(socket, status) {
  socket.end(`HTTP/1.1 ${status} ${http.STATUS_CODES[status]}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
}

function forward(from, to, lost) {
  from.on('message', (data, isBinary) => {
    if (to.bufferedAmount <= HIGH_WATER) return to.send(data, { binary: isBinary });
    from.pause();
    to.send(data, { binary: isBinary }, () => from.resume());
  });
  from.on('close', (code, reason) => {
    if (to.readyState === WebSocket.OPEN) to.close(1000, code === 1006 ? lost : reason);
  });
}

function attachClient(id, client) {
  const pulse = setInterval(() => client.send('medusa:{"type":"wait"}'), WAIT_PULSE_MS);
  sessions.set(id, { client, agent: null, pulse });
  client.on('error', () => {});
  client.on('close', () => {
    clearInterval(pulse);
    sessions.delete(id);
  });
}

function attachAgent(session, agent) {
  const { client } = session;
  clearInterval(session.pulse);
  session.agent = agent;
  agent.on('error', () => {});
  client.send('medusa:{"type":"linkup"}');
  agent.send('medusa:{"type":"linkup"}');
  forward(client, agent, 'remote connection reset');
  forward(agent, client, 'remote connection error');
}

const pem = process.argv[2] && fs.readFileSync(process.argv[2]);
const answer = (request, response) => response.writeHead(404).end();
const server = pem ? https.createServer({ cert: pem, key: pem }, answer) : http.createServer(answer);
server.on('upgrade', (request, socket, head) => {
  socket.on('error', () => {});
  const [, id, side] = ROUTE.exec(request.url) || [];
  const session = sessions.get(id);
  if (!id) return refuse(socket, 400);
  if (side === 'slave' && !session) return refuse(socket, 404);
  if (side === 'master' ? session : session.agent) return refuse(socket, 409);
  request.headers['sec-websocket-version'] ??= '13'; // the original clients leave it out; ws needs it
  upgrader.handleUpgrade(request, socket, head, (peer) =>
    side === 'master' ? attachClient(id, peer) : attachAgent(session, peer));
});
server.listen(0, '127.0.0.1', () =>
  console.log(`listening ${pem ? 'https' : 'http'}://127.0.0.1:${server.address().port}`));
