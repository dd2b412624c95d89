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

/** Reads each line once, however often it is asked: tests poll, and the log of a whole run has tens of megabytes. */
export class AuditLog {
  private readonly events: { readonly at: number; readonly event: AuditEvent }[] = [];
  /** Nothing before is read. A line that is being written then starts before it. */
  private firstMark: number | undefined;
  private position = 0;
  private reading: Promise<void> = Promise.resolve();

  constructor(private readonly file: string) {}

  /** Now, to be given to `since`. */
  async mark(): Promise<number> {
    const { size } = await stat(this.file);
    if (this.firstMark === undefined) {
      this.firstMark = size;
      this.position = Math.max(0, size - 1);
    }
    return size;
  }

  /** The requests after a mark. */
  async since(mark: number): Promise<AuditEvent[]> {
    const read = this.reading.then(() => this.readOn());
    // One that fails is not to fail the next.
    this.reading = read.catch(() => undefined);
    await read;
    return this.events.filter(({ at }) => at >= mark).map(({ event }) => event);
  }

  private async readOn(): Promise<void> {
    const from = this.position;
    const log = await open(this.file);
    try {
      const length = Math.max(0, (await log.stat()).size - from);
      const { buffer, bytesRead } = await log.read({ buffer: Buffer.alloc(length), position: from });
      // The last line may be in the middle of being written.
      let start = 0;
      for (let end = buffer.indexOf('\n'); end !== -1 && end < bytesRead; end = buffer.indexOf('\n', start)) {
        const at = from + start;
        if (at >= (this.firstMark ?? 0)) this.events.push({ at, event: parse(buffer.toString('utf8', start, end)) });
        start = end + 1;
      }
      this.position = from + start;
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
