"""Values for the chart: those of the tests, and those that it has to refuse."""

from __future__ import annotations

from typing import Any

import yaml

from tests.reflectors import ROOT

HOST = "medusa.example.com"
BARE: dict[str, Any] = {"image": {"repository": "registry.example/medusa"}}
PLAIN = {**BARE, "accounts": {"alice": "ssh-ed25519 AAAA"}}
SITE = {
    **PLAIN,
    "replicas": 3,
    "workers": 4,
    "accounts": {"alice": "ssh-ed25519 AAAA", "alice/ci": "ssh-ed25519 AAAB", "b+b@x": "ssh-ed25519 AAAC"},
    "admins": ["alice"],
    "redis": {"url": "rediss://:word@redis.example:6379/1"},
    "trustedProxies": ["10.1.0.0/16"],
    "settings": {"max-held": 268435456, "wait-timeout": 0.5, "no-status": True, "legacy-signatures": False},
    "extraEnv": [{"name": "MEDUSA_LOG_LEVEL", "value": "info"}],
    "ingress": {"enabled": True, "className": "nginx", "hosts": [HOST], "tls": [{"hosts": [HOST], "secretName": "x"}]},
    "networkPolicy": {
        "enabled": True,
        "from": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "ingress"}}}],
        "metricsFrom": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}],
        "egress": [{"ports": [{"port": 6379}], "to": [{"ipBlock": {"cidr": "192.0.2.1/32"}}]}],
    },
    "metrics": {
        "allowFrom": ["10.0.0.0/8", "fd00::/8"],
        "serviceMonitor": {"enabled": True, "labels": {"of": "test"}},
        "prometheusRule": {"enabled": True, "labels": {"of": "test"}},
        "dashboard": {"enabled": True, "labels": {"of": "test"}},
    },
    "tolerations": [{"key": "k", "operator": "Exists"}],
    "nodeSelector": {"kubernetes.io/os": "linux"},
}  # fmt: skip
EXISTING = {
    "image": {"repository": "registry.example/medusa", "tag": "sha-1"},
    "imagePullSecrets": [{"name": "pull"}],
    "replicas": 2,
    "accountsSecret": {"name": "keys", "items": [{"key": "alice-ci", "path": "alice.users/ci"}]},
    "redis": {"existingSecret": "redis", "existingSecretKey": "url"},
    "siteSecret": {"existingSecret": "site", "existingSecretKey": "secret"},
    "ingress": {"enabled": True, "controller": "traefik", "hosts": [HOST], "annotations": {"own": "x"}},
    "podDisruptionBudget": {"maxUnavailable": "50%"},
}
TLS = {**PLAIN, "bindIp": "::", "tls": {"existingSecret": "cert"}, "service": {"type": "LoadBalancer", "port": 443}}
OPEN = {**BARE, "trustedNetwork": True, "networkPolicy": {"enabled": True}, "drainTimeout": 0}
DOCUMENTED = (ROOT / "docs" / "operations.md").read_text().partition("```yaml\n")[2].partition("```")[0]
CASES = {"plain": PLAIN, "site": SITE, "existing": EXISTING, "tls": TLS, "open": OPEN}
CASES["documented"] = yaml.safe_load(DOCUMENTED)

REFUSED: list[tuple[dict[str, Any], str]] = [
    ({}, "image.repository: missing"),
    (BARE, "accounts: missing"),
    ({**PLAIN, "trustedNetwork": True}, "trustedNetwork: with it nobody"),
    ({**PLAIN, "accountsSecret": {"name": "x"}}, "accountsSecret.name: give this or accounts"),
    ({**OPEN, "admins": ["alice"]}, "admins: these are accounts"),
    ({**PLAIN, "replicas": 2}, "replicas: several replicas find"),
    ({**EXISTING, "tls": {"existingSecret": "x"}}, "tls.existingSecret: replicas reach"),
    ({**PLAIN, "redis": {"url": "redis://h", "existingSecret": "x"}}, "redis.existingSecret: give this or redis.url"),
    ({**PLAIN, "redis": {"url": "http://:secret@h"}}, "redis.url: it begins with"),
    ({**SITE, "siteSecret": {"value": "secret"}}, "siteSecret.value: less than 16"),
    ({**PLAIN, "ingress": {"enabled": True}}, "ingress.hosts: missing"),
    ({**PLAIN, "metrics": {"serviceMonitor": {"enabled": True}}}, "metrics.allowFrom: missing"),
    ({**PLAIN, "replicas": "3"}, "at '/replicas'"),
    ({**PLAIN, "replica": 3}, "properties 'replica' not allowed"),
    ({**PLAIN, "accounts": {"../x": "ssh-ed25519 AAAA"}}, "properties '../x' not allowed"),
    ({**PLAIN, "settings": {"max-holds": 1}}, "invalid propertyName 'max-holds'"),
    ({**PLAIN, "settings": {"accounts": "/x"}}, "invalid propertyName 'accounts'"),
    ({**PLAIN, "metrics": {"allowFrom": ["prometheus"]}}, "at '/metrics/allowFrom/0'"),
    ({**PLAIN, "ingress": {"controller": "apache"}}, "at '/ingress/controller'"),
    ({**PLAIN, "drainTimeout": "5m"}, "at '/drainTimeout'"),
]
