"""What the nodes of ``gpu.yaml`` may do in an AWS account: two roles, made by ``python -m cluster.aws``.

Ray's own role for the head may do everything with EC2 and S3, and gives its workers none.
"""

from __future__ import annotations

import json
from typing import Any

HEAD, WORKER = "learner-ray-head", "learner-ray-gpu"
POLICY = "learner-ray"
TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}
    ],
}


def allowed(actions: list[str], resources: list[str], **more: Any) -> dict[str, Any]:
    """A statement that allows actions on resources."""
    return {"Effect": "Allow", "Action": actions, "Resource": resources, **more}


def head_statements(cluster: str, worker_arn: str) -> list[dict[str, Any]]:
    """What the autoscaler needs: to start nodes, which get the workers' role, and to end its cluster's own.

    Args:
        cluster: the cluster's name, with which Ray tags its nodes.
        worker_arn: the workers' role.
    """
    own = {"Condition": {"StringEquals": {"ec2:ResourceTag/ray-cluster-name": cluster}}}
    return [
        allowed(["ec2:DescribeInstances", "ec2:RunInstances", "ec2:CreateTags"], ["*"]),
        allowed(["ec2:TerminateInstances"], ["*"], **own),
        allowed(["iam:PassRole"], [worker_arn]),
    ]


def bucket_statements(bucket: str | None) -> list[dict[str, Any]]:
    """What every node needs where data or results are in a bucket; nothing where none is named."""
    if bucket is None:
        return []
    arn = f"arn:aws:s3:::{bucket}"
    return [
        allowed(["s3:ListBucket"], [arn]),
        allowed(["s3:GetObject", "s3:PutObject", "s3:DeleteObject"], [f"{arn}/*"]),
    ]


def make_roles(iam: Any, cluster: str, bucket: str | None) -> None:
    """Makes both roles with their instance profiles, or renews what they allow; and the role that AWS itself
    needs in an account to start spot instances.

    Args:
        iam: boto3's client.
        cluster: the cluster's name.
        bucket: which every node may read and write; None for none.
    """
    worker = _role(iam, WORKER)
    _role(iam, HEAD)
    _allow(iam, HEAD, [*head_statements(cluster, worker), *bucket_statements(bucket)])
    _allow(iam, WORKER, bucket_statements(bucket))
    if not iam.list_roles(PathPrefix="/aws-service-role/spot.amazonaws.com/")["Roles"]:
        iam.create_service_linked_role(AWSServiceName="spot.amazonaws.com")


def _role(iam: Any, name: str) -> str:
    """The ARN of a role of this name, with an instance profile; made where it is missing."""
    if not _exists(lambda: iam.get_role(RoleName=name), iam):
        iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(TRUST))
    if not _exists(lambda: iam.get_instance_profile(InstanceProfileName=name), iam):
        iam.create_instance_profile(InstanceProfileName=name)
        iam.add_role_to_instance_profile(InstanceProfileName=name, RoleName=name)
    return str(iam.get_role(RoleName=name)["Role"]["Arn"])


def _allow(iam: Any, role: str, statements: list[dict[str, Any]]) -> None:
    if statements:
        document = json.dumps({"Version": "2012-10-17", "Statement": statements})
        iam.put_role_policy(RoleName=role, PolicyName=POLICY, PolicyDocument=document)
    elif POLICY in iam.list_role_policies(RoleName=role)["PolicyNames"]:
        iam.delete_role_policy(RoleName=role, PolicyName=POLICY)


def _exists(ask: Any, iam: Any) -> bool:
    try:
        ask()
    except iam.exceptions.NoSuchEntityException:
        return False
    return True
