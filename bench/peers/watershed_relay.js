'use strict';
/*
 * A relay like the reflector, with npm's `watershed`, the library of the original program. It speaks the protocol of
 * docs/protocol.md, part 1. Usage: node watershed_relay.js [PORT]
 *
 * The library offers no back-pressure, so this relay has none: bytes that a destination does not read stay in memory.
 */
const http = require('http');
const { Watershed } = require('watershed');

const WAIT_PULSE_MS = 2000;
const ROUTE = /^\/attach\/([^/]+)\/(master|slave)$/;

const sessions = new Map();
const shed = new Watershed();

function refuse(socket, status) {
  socket.end(`HTTP/1.1 ${status} ${http.STATUS_CODES[status]}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
}

function forward(from, to, lost) {
  from.on('text', (text) => to.send(text));
  from.on('binary', (data) => to.send(data));
  from.on('end', (code, reason) => to.end(code ? reason : lost));
}

function attachClient(id, client) {
  const pulse = setInterval(() => client.send('medusa:{"type":"wait"}'), WAIT_PULSE_MS);
  sessions.set(id, { client, agent: null, pulse });
  client.on('error', () => {});
  client.on('end', () => {
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

const server = http.createServer((request, response) => response.writeHead(404).end());
server.on('upgrade', (request, socket, head) => {
  socket.on('error', () => {});
  const [, id, side] = ROUTE.exec(request.url) || [];
  const session = sessions.get(id);
  if (!id) return refuse(socket, 400);
  if (side === 'slave' && !session) return refuse(socket, 404);
  if (side === 'master' ? session : session.agent) return refuse(socket, 409);
  const peer = shed.accept(request, socket, head);
  return side === 'master' ? attachClient(id, peer) : attachAgent(session, peer);
});
server.listen(Number(process.argv[2] || 0), '127.0.0.1', () =>
  console.log(`listening http://127.0.0.1:${server.address().port}`));
