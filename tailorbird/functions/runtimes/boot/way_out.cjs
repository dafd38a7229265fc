// Node.js ignores proxy variables: outgoing connections to ports 443 and 80, of http, https, fetch and
// whatever stands on net and tls, go to the egress gateway's Unix socket, which leads by host name.
'use strict';
const net = require('node:net');
const tls = require('node:tls');
const { syncBuiltinESMExports } = require('node:module');

const door = process.env.TAILORBIRD_DOOR;
const PORTS = new Set([80, 443]);
const direct = new Set((process.env.NO_PROXY ?? '').split(','));
const HERE = /^(localhost|.*\.localhost|127\.[0-9.]+|::1|\[::1\]|)$/i;

const leadsOut = ({ host, port, path }) => !path && PORTS.has(Number(port)) && !HERE.test(host ?? '') && !direct.has(host);

// (options, done), (port, host, done), and for TLS (port, host, options, done) as one object
function asked(args) {
  const list = Array.isArray(args[0]) ? args[0] : args; // net hands its own arguments on as one array
  const done = list.filter((arg) => typeof arg === 'function').pop();
  const objects = list.filter((arg) => arg !== null && typeof arg === 'object');
  const [port, host] = typeof list[0] === 'object' ? [] : list;
  const first = port === undefined ? {} : { port, host: typeof host === 'string' ? host : undefined };
  return [Object.assign(first, ...objects), done];
}

const { connect } = net.Socket.prototype;
const { connect: connectTls } = tls;

function led(...args) {
  const [options, done] = asked(args);
  return leadsOut(options) ? connect.call(this, { ...options, path: door }, done) : connect.apply(this, args);
}

function ledTls(...args) {
  const [options, done] = asked(args);
  if (options.socket || !leadsOut(options)) return connectTls.apply(this, args);
  const servername = options.servername ?? (net.isIP(options.host) ? '' : options.host);
  return connectTls.call(this, { ...options, servername, path: door }, done);
}

if (door) {
  net.Socket.prototype.connect = led;
  tls.connect = ledTls;
  syncBuiltinESMExports();
}
