import { open, stat } from 'node:fs/promises';

/** A request of a service account, as the API server saw and answered it. */
export interface AuditEvent {
  readonly user: string;
  readonly verb: string;
  /** The API group; empty for the core group. */
  readonly group: string;
  /** Empty for a request that is not about a resource, such as /version. */
  readonly resource: string;
  readonly subresource: string;
  readonly namespace: string;
  readonly name: string;
  readonly code: number;
}

export class AuditLog {
  constructor(private readonly file: string) {}

  /** Now, to be given to `since`. */
  async mark(): Promise<number> {
    return (await stat(this.file)).size;
  }

  /** The requests after a mark. Only that part of the log is read. */
  async since(mark: number): Promise<AuditEvent[]> {
    const log = await open(this.file);
    try {
      const length = Math.max(0, (await log.stat()).size - mark);
      const { buffer } = await log.read({ buffer: Buffer.alloc(length), position: mark });
      const text = buffer.toString('utf8');
      // The last line may be in the middle of being written.
      const lines = text.slice(0, text.lastIndexOf('\n') + 1).split('\n');
      return lines.filter(Boolean).map(parse);
    } finally {
      await log.close();
    }
  }
}

function parse(line: string): AuditEvent {
  const { user, verb, objectRef = {}, responseStatus = {} } = JSON.parse(line);
  const { apiGroup: group = '', resource = '', subresource = '', namespace = '', name = '' } = objectRef;
  return { user: user.username, verb, group, resource, subresource, namespace, name, code: responseStatus.code ?? 0 };
}
