// The library's warnings are kept from the output of tests. Those that are about them look at what is written.
const write = process.stderr.write.bind(process.stderr);

process.stderr.write = ((text: string | Uint8Array, ...rest: never[]) =>
  `${text}`.startsWith('cdk8s-prefect: warning ') || write(text, ...rest)) as typeof process.stderr.write;
