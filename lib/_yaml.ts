import { Yaml } from 'cdk8s';

/**
 * YAML for Python. Where cdk8s writes them plainly, PyYAML does not take the first two for text, and readers of YAML 1.2 not the third;
 * JSON, which is YAML too, has quotes.
 */
export function stringifyYaml(value: object): string {
  const json = JSON.stringify(value, null, 2);
  return /"(=|<<|0o[0-7]+)"/.test(json) ? `${json}\n` : Yaml.stringify(value);
}
