import { isIP } from 'node:net';
import { k8s } from 'cdk8s-plus-27';
import { checkApiUrl } from './_checks';
import { refuse, type Where } from './_refuse';
import type { EgressRule, HttpProxy } from './network';

const DNS: k8s.NetworkPolicyEgressRule = {
  ports: ['UDP', 'TCP'].map((protocol) => ({ protocol, port: k8s.IntOrString.fromNumber(53) })),
};

/** DNS to anywhere, and what the rules say. */
export function renderEgress(where: Where, rules: EgressRule[]): k8s.NetworkPolicyEgressRule[] {
  return [DNS, ...rules.map(({ cidr, ports }, i) => renderRule(where, `egress[${i}]`, cidr, ports ?? []))];
}

function renderRule(where: Where, prop: string, cidr: string, ports: number[]): k8s.NetworkPolicyEgressRule {
  checkCidr(where, `${prop}.cidr`, cidr);
  for (const port of ports) {
    if (!Number.isInteger(port) || port < 1 || port > 65_535) {
      refuse(where, { prop: `${prop}.ports`, value: port, allowed: 'must be whole numbers from 1 to 65535', remedy: 'give such ports' });
    }
  }
  return {
    to: [{ ipBlock: { cidr } }],
    ...(ports.length > 0 && { ports: ports.map((port) => ({ protocol: 'TCP', port: k8s.IntOrString.fromNumber(port) })) }),
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
      allowed: 'must be the network itself, without bits after its prefix, and IPv6 in its canonical form (RFC 5952)',
      remedy: `write ${network}, or ${networkOf(address, bits, bits)}/${bits} for the one address`,
    });
  }
}

/** An address without the bits after a prefix, in its canonical form. */
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

/** Both spellings, since programs differ in which they read. The kubelet fills in the address of the Kubernetes API. */
export function renderProxy(where: Where, { url, noProxy }: HttpProxy): k8s.EnvVar[] {
  checkApiUrl(where, 'proxy.url', url);
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
