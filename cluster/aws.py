"""Makes the firewall, launch template and roles that ``gpu.yaml`` names: ``python -m cluster.aws``.

Ray's own firewall opens ssh to the world, its default machine image is of 2023, and its role for the head may
do everything; this sets them right once, and again whenever your address changes. Nothing here costs money by
itself. Who types it needs the rights of ``aws-policy.json``.
"""

from __future__ import annotations

import argparse
import ipaddress
import sys
import urllib.request
from pathlib import Path
from typing import Any

import yaml

from cluster.aws_roles import make_roles
from learner_ray.core.errors import UserError

NAME = "learner-ray"
IMAGE_PARAMETER = "/aws/service/deeplearning/ami/x86_64/base-oss-nvidia-driver-gpu-ubuntu-24.04/latest/ami-id"
ADDRESS_SERVICE = "https://checkip.amazonaws.com"
CLUSTER_FILE = Path(__file__).with_name("gpu.yaml")


def own_network() -> str:
    """This machine's public address, as a network of one.

    Raises:
        UserError: the address service does not answer.
    """
    try:
        with urllib.request.urlopen(ADDRESS_SERVICE, timeout=10) as answer:
            return f"{ipaddress.ip_address(answer.read().decode().strip())}/32"
    except (OSError, ValueError) as error:
        raise UserError(f"{ADDRESS_SERVICE} did not tell your address ({error}); give --ssh-from") from error


def ssh_network(text: str) -> str:
    """A network ssh may come from.

    Raises:
        UserError: not a network, or so wide that it is the world.
    """
    try:
        network = ipaddress.IPv4Network(text)
    except ValueError as error:
        raise UserError(f"--ssh-from {text}: {error}; write it like 192.0.2.7/32") from error
    if network.prefixlen < 16:
        raise UserError(f"--ssh-from {text} opens ssh to {network.num_addresses} addresses; name your own")
    return str(network)


def firewall(ec2: Any, network: str) -> str:
    """The id of the security group: ssh from ``network``, everything between its own members, no more.

    Raises:
        UserError: the region has no default network to put it in.
    """
    vpcs = ec2.describe_vpcs(Filters=[{"Name": "is-default", "Values": ["true"]}])["Vpcs"]
    if not vpcs:
        raise UserError("this region has no default VPC; `aws ec2 create-default-vpc` makes one")
    vpc = vpcs[0]["VpcId"]
    found = ec2.describe_security_groups(
        Filters=[{"Name": "vpc-id", "Values": [vpc]}, {"Name": "group-name", "Values": [NAME]}]
    )["SecurityGroups"]
    if found:
        group, old = found[0]["GroupId"], found[0]["IpPermissions"]
        if old:
            ec2.revoke_security_group_ingress(GroupId=group, IpPermissions=old)
    else:
        group = ec2.create_security_group(GroupName=NAME, Description="learner_ray nodes", VpcId=vpc)[
            "GroupId"
        ]
    ssh = {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "IpRanges": [{"CidrIp": network}]}
    members = {"IpProtocol": "-1", "UserIdGroupPairs": [{"GroupId": group}]}
    ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[ssh, members])
    return str(group)


def launch_template(ec2: Any, group: str, image: str) -> None:
    """Writes the launch template's new default version."""
    data = {
        "ImageId": image,
        "SecurityGroupIds": [group],
        # Version 2 only: a process that can be made to fetch an address cannot read the node's credentials.
        "MetadataOptions": {"HttpTokens": "required", "HttpEndpoint": "enabled"},
    }
    names = [{"Name": "launch-template-name", "Values": [NAME]}]
    if not ec2.describe_launch_templates(Filters=names)["LaunchTemplates"]:
        ec2.create_launch_template(LaunchTemplateName=NAME, LaunchTemplateData=data)
        return
    made = ec2.create_launch_template_version(LaunchTemplateName=NAME, LaunchTemplateData=data)
    version = str(made["LaunchTemplateVersion"]["VersionNumber"])
    ec2.modify_launch_template(LaunchTemplateName=NAME, DefaultVersion=version)


def main(arguments: list[str] | None = None) -> int:
    """Makes or renews firewall, launch template and roles; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m cluster.aws", description=__doc__)
    parser.add_argument(
        "--ssh-from", metavar="CIDR", help="network ssh may come from (default: this machine)"
    )
    parser.add_argument(
        "--image", metavar="AMI", help="machine image (default: AWS's newest for Ubuntu, CUDA)"
    )
    parser.add_argument("--bucket", help="S3 bucket that every node may read and write (default: none)")
    options = parser.parse_args(arguments)
    try:
        import boto3  # type: ignore[import-untyped]
        from botocore.exceptions import (  # type: ignore[import-untyped]
            BotoCoreError,
            ClientError,
            NoCredentialsError,
        )
    except ImportError:
        print("needs boto3: pip install 'learner-ray[aws]'", file=sys.stderr)
        return 2
    file = yaml.safe_load(CLUSTER_FILE.read_text())
    region = file["provider"]["region"]
    try:
        network = ssh_network(options.ssh_from) if options.ssh_from else own_network()
        image = options.image
        if image is None:
            ssm = boto3.client("ssm", region_name=region)
            image = ssm.get_parameter(Name=IMAGE_PARAMETER)["Parameter"]["Value"]
        ec2 = boto3.client("ec2", region_name=region)
        launch_template(ec2, firewall(ec2, network), image)
        make_roles(boto3.client("iam", region_name=region), file["cluster_name"], options.bucket)
    except UserError as error:
        print(error, file=sys.stderr)
        return 2
    except NoCredentialsError:
        keys = "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
        print(f"no AWS credentials: type `aws configure`, or set {keys}", file=sys.stderr)
        return 2
    except (BotoCoreError, ClientError) as error:
        print(f"AWS says: {error}", file=sys.stderr)
        return 1
    print(f"{region}: ssh from {network}, image {image}. Next: ray up {CLUSTER_FILE.parent.name}/gpu.yaml")
    return 0


if __name__ == "__main__":
    sys.exit(main())
