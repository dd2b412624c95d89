import { once } from 'node:events';
import { type AddressInfo, connect } from 'node:net';
import { serverOf, textOf } from './listener';

const BODY = 'a request';
const REQUEST = `POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: ${BODY.length}\r\n\r\n${BODY}`;

/** As a process that is killed, one whose connection is reset, and one that closes it in order. */
test.each(['destroy', 'resetAndDestroy', 'end'] as const)(
  'a client that leaves a request half-way ends that request alone: %s',
  async (leave) => {
    const read: string[] = [];
    const server = serverOf(async (request, response) => {
      read.push(await textOf(request));
      response.end('answered');
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    try {
      const client = connect(port, '127.0.0.1');
      const asked = once(server, 'request');
      client.write(REQUEST.slice(0, -1));
      const [request] = await asked;
      const gone = new Promise((resolve) => request.socket.once('close', resolve));
      client[leave]();
      await gone;
      const answer = await fetch(`http://127.0.0.1:${port}`, { method: 'POST', body: BODY });
      expect([await answer.text(), read]).toEqual(['answered', [BODY]]);
    } finally {
      server.close();
      server.closeAllConnections();
    }
  },
);
