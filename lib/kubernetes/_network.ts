import { isIP } from 'node:net';
import type { k8s } from 'cdk8s-plus-27';
import type { IConstruct } from 'constructs';
import { checkHttpUrl } from './_checks';
import type { Plain } from './_manifest';
import { refuse, type Where } from './_refuse';
import { warn } from './_warnings';
import type { EgressRule, HttpProxy } from './network';

const DNS: Plain<k8s.NetworkPolicyEgressRule> = {
  ports: ['UDP', 'TCP'].map((protocol) => ({ protocol, port: 53 })),
};

/** DNS to every address, and the rules of the user. */
export function renderEgress(where: Where, rules: EgressRule[]): Plain<k8s.NetworkPolicyEgressRule>[] {
  return [DNS, ...rules.map(({ cidr, ports }, i) => renderRule(where, `egress[${i}]`, cidr, ports ?? []))];
}

function renderRule(where: Where, prop: string, cidr: string, ports: number[]): Plain<k8s.NetworkPolicyEgressRule> {
  checkCidr(where, `${prop}.cidr`, cidr);
  for (const port of ports) {
    if (!Number.isInteger(port) || port < 1 || port > 65_535) {
      refuse(where, {
        prop: `${prop}.ports`,
        value: port,
        allowed: 'must be whole numbers from 1 to 65535',
        remedy: 'write for example ports: [443]',
      });
    }
  }
  return {
    to: [{ ipBlock: { cidr } }],
    ...(ports.length > 0 && { ports: ports.map((port) => ({ protocol: 'TCP', port })) }),
  };
}

function checkCidr(where: Where, prop: string, cidr: string): void {
  const [address = '', prefix = ''] = cidr.split('/');
  const bits = { 4: 32, 6: 128 }[isIP(address)];
  if (
    bits === undefined ||
    /%|^::ffff:/i.test(address) ||
    !/^(0|[1-9]\d*)$/.test(prefix) ||
    Number(prefix) > bits ||
    cidr.split('/').length !== 2
  ) {
    refuse(where, {
      prop,
      value: cidr,
      allowed: 'must be a network in CIDR notation',
      remedy: 'write for example 10.0.0.0/8 or 192.0.2.7/32',
    });
  }
  const network = `${networkOf(address, bits, Number(prefix))}/${prefix}`;
  if (cidr !== network) {
    refuse(where, {
      prop,
      value: cidr,
      allowed: 'must be a network without host bits, and IPv6 in its canonical form (RFC 5952)',
      remedy: `write ${network}, or ${networkOf(address, bits, bits)}/${bits} for the one address`,
    });
  }
}

/** An address without the bits after its prefix, in canonical form. */
function networkOf(address: string, bits: number, prefix: number): string {
  const [separator, radix, size] = bits === 32 ? ['.', 10, 8] : [':', 16, 16];
  const canonical = (text: string) => (bits === 32 ? text : new URL(`http://[${text}]`).hostname.slice(1, -1));
  const [head = [], tail = []] = canonical(address)
    .split('::')
    .map((part) => part.split(separator).filter((group) => group !== ''));
  const groups = [...head, ...new Array(bits / size - head.length - tail.length).fill('0'), ...tail];
  const masked = groups.map((group, i) => {
    const cut = Math.min(Math.max((i + 1) * size - prefix, 0), size);
    return ((Number.parseInt(group, radix) >> cut) << cut).toString(radix);
  });
  return canonical(masked.join(separator));
}

/** The entries that `requests`, the HTTP client of Prefect, understands: a suffix of a host, an address, or an IPv4 network. */
function isReadByRequests(host: string): boolean {
  const [address = '', prefix, ...rest] = host.split('/');
  if (prefix !== undefined) return rest.length === 0 && isIP(address) === 4 && /^([1-9]|[12]\d|3[0-2])$/.test(prefix);
  return isIP(host) !== 0 || /^\.?[-\w]+(\.[-\w]+)*(:\d+)?$/.test(host);
}

/** Upper and lower case, because some programs read only one of them. The kubelet inserts the address of the Kubernetes API. */
export function renderProxy(where: IConstruct, { url, noProxy }: HttpProxy): Plain<k8s.EnvVar>[] {
  checkHttpUrl(where, 'proxy.url', url, {
    url: 'write for example http://proxy.example:3128',
    credentials: 'use a proxy that needs no password',
  });
  for (const [i, host] of (noProxy ?? []).entries()) {
    if (!/^[-.:/*A-Za-z0-9[\]]+$/.test(host)) {
      refuse(where, {
        prop: `proxy.noProxy[${i}]`,
        value: host,
        allowed: 'must be a host, a domain or a network',
        remedy: 'write for example .example.com, one to an entry',
      });
    }
  }
  const unread = (noProxy ?? []).filter((host) => !isReadByRequests(host));
  if (unread.length > 0) {
    warn(
      where,
      'no-proxy',
      `proxy.noProxy has ${unread.join(', ')}, which Python does not understand; write hosts (prefect.example), domains (.example.com), IPv4 addresses or IPv4 networks (10.0.0.0/8)`,
    );
  }
  const direct = ['$(KUBERNETES_SERVICE_HOST)', ...(noProxy ?? [])].join(',');
  return [
    { name: 'HTTP_PROXY', value: url },
    { name: 'HTTPS_PROXY', value: url },
    { name: 'NO_PROXY', value: direct },
  ].flatMap(({ name, value }) => [
    { name, value },
    { name: name.toLowerCase(), value },
  ]);
}

/** Pods with these labels, without those of flow runs. Flow runs have the labels of their chart, which may include `app`. */
export function notOfFlowRuns(matchLabels: Record<string, string>, key: string): Plain<k8s.LabelSelector> {
  return { matchLabels, matchExpressions: [{ key, operator: 'DoesNotExist' }] };
}
