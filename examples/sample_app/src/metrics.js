'use strict';

const BUCKETS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

function labelText(labels) {
  const parts = Object.entries(labels).map(
    ([name, value]) => `${name}="${String(value).replace(/[\\"]/g, '\\$&').replace(/\n/g, '\\n')}"`,
  );
  return parts.length ? `{${parts.join(',')}}` : '';
}

/** Counters, one histogram of request times and gauges read when asked, in the Prometheus text format. */
class Metrics {
  constructor() {
    this.families = new Map();
    this.histograms = new Map();
    this.gauges = [];
  }

  counter(name, help) {
    const series = new Map();
    this.families.set(name, { help, series });
    return {
      inc(labels = {}, by = 1) {
        const key = labelText(labels);
        series.set(key, (series.get(key) || 0) + by);
      },
      total() {
        let sum = 0;
        for (const value of series.values()) sum += value;
        return sum;
      },
    };
  }

  histogram(name, help) {
    const series = new Map();
    this.histograms.set(name, { help, series });
    return {
      observe(labels, seconds) {
        const key = labelText(labels);
        let entry = series.get(key);
        if (!entry) {
          entry = { labels, counts: new Array(BUCKETS.length).fill(0), sum: 0, count: 0 };
          series.set(key, entry);
        }
        entry.sum += seconds;
        entry.count += 1;
        for (let i = 0; i < BUCKETS.length; i += 1) if (seconds <= BUCKETS[i]) entry.counts[i] += 1;
      },
    };
  }

  gauge(name, help, read) {
    this.gauges.push({ name, help, read });
  }

  render() {
    const lines = [];
    const family = (name, help, type) => lines.push(`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`);
    for (const [name, { help, series }] of this.families) {
      family(name, help, 'counter');
      for (const [labels, value] of series) lines.push(`${name}${labels} ${value}`);
    }
    for (const [name, { help, series }] of this.histograms) {
      family(name, help, 'histogram');
      for (const { labels, counts, sum, count } of series.values()) {
        BUCKETS.forEach((le, i) => lines.push(`${name}_bucket${labelText({ ...labels, le })} ${counts[i]}`));
        lines.push(`${name}_bucket${labelText({ ...labels, le: '+Inf' })} ${count}`);
        lines.push(`${name}_sum${labelText(labels)} ${sum}`, `${name}_count${labelText(labels)} ${count}`);
      }
    }
    for (const { name, help, read } of this.gauges) {
      family(name, help, 'gauge');
      lines.push(`${name} ${read()}`);
    }
    return `${lines.join('\n')}\n`;
  }
}

module.exports = { Metrics };
