"""A stand-in for Google Cloud on the loopback: it holds what it is asked against Google's own descriptions.

Google's client is the real one; its copies of three services' discovery documents are given this server's
address. Each request is held against its method's description: verb, path, query and body. So are the few
answers, which are as much as Ray needs to launch a node. The server keeps them in memory and starts nothing.
It checks no right, no quota, and no name of an image or a machine, and its operations are done at once: which
calls are made, and that they are well formed, is what it can show; that Google would grant them it cannot.
"""

from __future__ import annotations

import copy
import json
import re
import threading
import urllib.parse
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.cluster.discovery import document, methods

SERVICES = ("cloudresourcemanager.v1", "iam.v1", "compute.v1")
# docs.cloud.google.com/compute/docs/labeling-resources
LABEL = re.compile(r"[a-z][a-z0-9_-]{0,62}=[a-z0-9_-]{0,63}")
Answer = tuple[int, dict[str, Any]]


class Request(NamedTuple):
    """What of a request its answer depends on."""

    parts: list[str]  # of the path, such as project, zone and instance
    query: dict[str, str]
    body: Any


class GoogleCloud(ThreadingHTTPServer):
    """One empty project: its calls in order, its nodes, and what was wrong with a call."""

    def __init__(self, project: str) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.project = project
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.calls: list[str] = []
        self.faults: list[str] = []
        self.nodes: dict[str, dict[str, Any]] = {}
        self.accounts: dict[str, dict[str, Any]] = {}
        self.policy: dict[str, Any] = {"version": 1, "etag": "ACAB", "bindings": []}
        self.metadata: dict[str, Any] = {"kind": "compute#metadata", "fingerprint": "ACAB", "items": []}
        self.subnetworks: set[str] = set()
        self.methods = {service: methods(service) for service in SERVICES}

    def ask(self, verb: str, url: str, body: Any) -> Answer:
        """Answer one request, and note it."""
        address = urllib.parse.urlsplit(url)
        if address.path == "/token":
            return 200, {"access_token": "made", "expires_in": 3600, "token_type": "Bearer"}
        _, service, path = address.path.split("/", 2)
        found = ((method, method.matches(verb, path)) for method in self.methods[service])
        method, match = next(((m, match) for m, match in found if match), (None, None))
        if method is None or match is None:
            return self.refuse(404, [f"{verb} {address.path}: no method"])
        self.calls.append(method.name)
        parts = [urllib.parse.unquote(part) for part in match.groups()]
        request = Request(parts, dict(urllib.parse.parse_qsl(address.query)), body)
        faults = method.faults(request.query, body) + wrong_labels(body)
        if faults or method.name not in ANSWERS:
            return self.refuse(400, [f"{method.name}{fault}" for fault in faults or [": not offered here"]])
        code, answer = ANSWERS[method.name](self, request)
        if code == 200:
            self.faults += [f"{method.name} answers {fault}" for fault in method.faults_of_answer(answer)]
        return code, answer

    def refuse(self, code: int, faults: list[str]) -> Answer:
        """Note the faults of a request, and say them."""
        self.faults += faults
        return refusal(code, "; ".join(faults))


class Handler(BaseHTTPRequestHandler):
    """Takes requests in and hands the answers out."""

    server: GoogleCloud

    def do_GET(self) -> None:
        sent = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        is_json = sent and "json" in self.headers.get("Content-Type", "")
        code, answer = self.server.ask(self.command, self.path, json.loads(sent) if is_json else None)
        text = json.dumps(answer).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    do_POST = do_DELETE = do_GET  # noqa: N815 - the names that http.server calls

    def log_message(self, *_: object) -> None:
        """A test's output is not the place for a server's log."""


def refusal(code: int, why: str) -> Answer:
    return code, {"error": {"code": code, "message": why}}


def wrong_labels(body: Any) -> list[str]:
    """Labels that break the rule of Compute Engine's manual; the description has it in words alone."""
    labels = body.get("labels", {}) if isinstance(body, dict) else {}
    return [f".labels: {k}={v}" for k, v in labels.items() if not LABEL.fullmatch(f"{k}={v}")]


def get_account(cloud: GoogleCloud, request: Request) -> Answer:
    email = request.parts[1]
    return (200, cloud.accounts[email]) if email in cloud.accounts else refusal(404, email)


def create_account(cloud: GoogleCloud, request: Request) -> Answer:
    email = f"{request.body['accountId']}@{cloud.project}.iam.gserviceaccount.com"
    about = {"name": f"projects/{cloud.project}/serviceAccounts/{email}", "projectId": cloud.project}
    cloud.accounts[email] = request.body["serviceAccount"] | about | {"email": email}
    return 200, cloud.accounts[email]


def set_policy(cloud: GoogleCloud, request: Request) -> Answer:
    cloud.policy = request.body["policy"]
    return 200, cloud.policy


def set_metadata(cloud: GoogleCloud, request: Request) -> Answer:
    cloud.metadata = request.body
    return done(cloud, request)


def insert_node(cloud: GoogleCloud, request: Request) -> Answer:
    """Refuse a node in a subnetwork that is not there, in words of this server's own."""
    if missing := {i["subnetwork"] for i in request.body["networkInterfaces"]} - cloud.subnetworks:
        return refusal(404, f"there is no {missing.pop()}")
    node = copy.deepcopy(request.body) | {"status": "RUNNING", "labelFingerprint": "ACAB"}
    interface, number = node["networkInterfaces"][0], len(cloud.nodes) + 2
    interface["networkIP"] = f"10.10.0.{number}"
    interface["accessConfigs"][0]["natIP"] = f"192.0.2.{number}"
    cloud.nodes[node["name"]] = node
    return done(cloud, request)


def list_nodes(cloud: GoogleCloud, request: Request) -> Answer:
    """The nodes with the labels that are asked for; all of them run."""
    asked = set(re.findall(r"\(labels\.([\w-]+) = ([\w-]+)\)", request.query["filter"]))
    return 200, {"items": [node for node in cloud.nodes.values() if asked <= set(node["labels"].items())]}


def get_node(cloud: GoogleCloud, request: Request) -> Answer:
    name = request.parts[2]
    return (200, cloud.nodes[name]) if name in cloud.nodes else refusal(404, name)


def set_labels(cloud: GoogleCloud, request: Request) -> Answer:
    cloud.nodes[request.parts[2]]["labels"] = request.body["labels"]
    return done(cloud, request)


def delete_node(cloud: GoogleCloud, request: Request) -> Answer:
    del cloud.nodes[request.parts[2]]
    return done(cloud, request)


def done(_: GoogleCloud, __: Request) -> Answer:
    return 200, {"name": "operation-1", "status": "DONE"}


ANSWERS: dict[str, Callable[[GoogleCloud, Request], Answer]] = {
    "cloudresourcemanager.projects.get": lambda cloud, _: (
        200,
        {"projectId": cloud.project, "lifecycleState": "ACTIVE"},
    ),
    "cloudresourcemanager.projects.getIamPolicy": lambda cloud, _: (200, copy.deepcopy(cloud.policy)),
    "cloudresourcemanager.projects.setIamPolicy": set_policy,
    "iam.projects.serviceAccounts.get": get_account,
    "iam.projects.serviceAccounts.create": create_account,
    "compute.projects.get": lambda cloud, _: (
        200,
        {"name": cloud.project, "commonInstanceMetadata": cloud.metadata},
    ),
    "compute.projects.setCommonInstanceMetadata": set_metadata,
    "compute.globalOperations.get": done,
    "compute.zoneOperations.get": done,
    "compute.instances.insert": insert_node,
    "compute.instances.list": list_nodes,
    "compute.instances.get": get_node,
    "compute.instances.setLabels": set_labels,
    "compute.instances.delete": delete_node,
}


@contextmanager
def google_cloud(project: str, folder: Path) -> Iterator[tuple[GoogleCloud, Path, Path]]:
    """Serve an empty project; yields it, the documents that lead to it and a service account's key."""
    with GoogleCloud(project) as cloud:
        threading.Thread(target=cloud.serve_forever, daemon=True).start()
        documents = folder / "documents"
        documents.mkdir()
        for service in SERVICES:
            moved = {k: v for k, v in document(service).items() if k != "mtlsRootUrl"}
            moved["rootUrl"] = f"{cloud.url}/{service}/"
            (documents / f"{service}.json").write_text(json.dumps(moved))
        yield cloud, documents, account_key(cloud, folder / "key.json")
        cloud.shutdown()


def account_key(cloud: GoogleCloud, path: Path) -> Path:
    """A key as Google writes one, made here; its tokens come from this server."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    email = f"me@{cloud.project}.iam.gserviceaccount.com"
    about = {"type": "service_account", "project_id": cloud.project, "client_email": email}
    path.write_text(json.dumps(about | {"private_key": key.decode(), "token_uri": f"{cloud.url}/token"}))
    return path
