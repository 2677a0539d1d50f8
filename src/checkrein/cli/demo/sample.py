"""The demo's data, configuration and policies."""

from __future__ import annotations

from typing import Final

SQL: Final = """
CREATE ROLE app LOGIN PASSWORD '{password}';
CREATE DATABASE shop OWNER app;
\\connect shop
SET ROLE app;
CREATE TABLE public.customers (
  id int PRIMARY KEY, name text NOT NULL, email text NOT NULL, ssn text NOT NULL UNIQUE, note text);
CREATE TABLE public.orders (
  id int PRIMARY KEY, customer int NOT NULL REFERENCES public.customers, status text NOT NULL,
  amount numeric(10,2) NOT NULL, paid_with text);
CREATE SCHEMA reporting;
CREATE VIEW reporting.revenue AS
  SELECT status, count(*) AS orders, sum(amount) AS amount FROM public.orders GROUP BY status;
INSERT INTO public.customers VALUES
  (1, 'Ada Byron', 'ada@example.com', '536-22-8145', 'prefers mail; card 4111 1111 1111 1111 on file'),
  (2, 'Grace Murray', 'grace@example.org', '219-09-9999', 'badge E-2047713'),
  (3, 'Katherine Coleman', 'kc@example.net', '457-55-5462', NULL);
INSERT INTO public.orders
  SELECT n, 1 + n % 3, CASE n % 4 WHEN 0 THEN 'open' WHEN 1 THEN 'shipped' ELSE 'done' END, (n * 7.35)::numeric(10,2),
         CASE n % 3 WHEN 0 THEN '5555 5555 5555 4444' END
    FROM generate_series(1, 400) AS n;
ANALYZE;
"""

CONFIG: Final = """\
apiVersion: checkrein/v1
kind: Gateway
data: ./data
listen:
  control: 127.0.0.1:{control}
  postgres: 127.0.0.1:{listen}
identity:
  embedded:
    ttl: 12h
    agents:
      - {{id: support-bot, groups: [support], secret: "file:secrets/support-bot"}}
      - {{id: report-bot, groups: [reports], secret: "file:secrets/report-bot"}}
    people:
      - {{id: anna, groups: [oncall], secret: "file:secrets/anna"}}
people:
  roles: {{approver: [oncall], auditor: [oncall]}}
tls: {{loopback_plaintext: true}}
policies: ./policies
targets:
  - name: shop
    protocol: postgres
    address: 127.0.0.1:{database}
    database: shop
    labels: {{env: demo}}
    tls: {{mode: disable}}
    profiles:
      default: {{user: app, password: "file:secrets/database"}}
"""

SUPPORT: Final = """\
apiVersion: checkrein/v1
kind: Policy
metadata: {name: support-agents, description: Support bots read customers and orders; a person approves changes}
spec:
  subjects: {groups: [support]}
  targets: {names: [shop]}
  rules:
    - name: read-orders
      allow: {verbs: [select], touches: [public.orders, public.customers]}
    - name: no-bulk-writes
      deny: {verbs: [update, delete], when: "!statement.bounded || statement.bounded_keys > 5"}
      message: Give a WHERE clause on the primary key.
      instead: UPDATE one order at a time by id.
    - name: writes-need-a-person
      ask: {verbs: [update], touches: [public.orders]}
      approvers: {groups: [oncall], count: 1}
      wait: {hold: 50s, expire: 1h}
      grant: {uses: 1}
"""

REPORTS: Final = """\
apiVersion: checkrein/v1
kind: Policy
metadata: {name: report-agents, description: Report bots see figures and nobody's name}
spec:
  subjects: {groups: [reports]}
  targets: {names: [shop]}
  rules:
    - name: figures
      allow: {verbs: [select], touches: [reporting.revenue]}
"""

MASKS: Final = """\
apiVersion: checkrein/v1
kind: Policy
metadata: {name: masks, description: What nobody sees}
spec:
  targets: {names: [shop]}
  masks:
    - {columns: [public.customers.ssn], with: partial, keep_last: 4, inference: deny}
    - {detect: [credit_card, email, employee_no], with: token}
  detectors:
    - {name: employee_no, pattern: "\\\\bE-[0-9]{7}\\\\b"}
"""

POLICIES: Final = {"support.yaml": SUPPORT, "reports.yaml": REPORTS, "masks.yaml": MASKS}
