/** The command of Prometheus' own tool, which says whether metrics and alerts are as Prometheus wants them. */
export const PROMTOOL = ['go', 'run', 'github.com/prometheus/prometheus/cmd/promtool@v0.316.0'] as const;
