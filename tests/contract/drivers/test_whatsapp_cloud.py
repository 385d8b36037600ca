"""The driver of Meta's Cloud API passes the contract, with a fake Graph behind it that signs webhooks."""

import sys
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from drivers.runtime.contract_kit.subject import Subject
from drivers.runtime.contract_kit.suite import DeliveryReportContract, DriverContract, InboundContract
from drivers.whatsapp_cloud.fake_graph import APP_SECRET, VERIFY_TOKEN, FakeGraph, Rules
from infinireach.v1.message_pb2 import CHANNEL_WHATSAPP
from tools.engines.ports import free_port

GROUP = "Y2FwaV9ncm91cDoxNzA1NTU1MDEzOToxMjAzNjM0MDQ2OTQyMzM4MjAZD"
"""The kit sends everything to one destination, and to one person Meta takes no more than 45 messages at once."""


class TestWhatsAppCloudDriver(InboundContract, DeliveryReportContract, DriverContract):
    @pytest.fixture
    async def subject(self, tmp_path: Path) -> AsyncIterator[Subject]:
        port = free_port()
        rules = Rules(is_window_open=True, users_read=False, pair_burst=1e6, status_after_s=0.1)
        callback_url = f"http://127.0.0.1:{port}/whatsapp"
        async with FakeGraph(callback_url=callback_url, rules=rules, retry_s=0.02) as graph:
            config = tmp_path / "whatsapp.toml"
            config.write_text(
                f'[graph]\nurl = "{graph.url}"\n'
                f'[webhook]\nport = {port}\nverify_token = "{VERIFY_TOKEN}"\n'
                f'[[number]]\nname = "main"\nnumber = "{graph.number.number}"\n'
                f'phone_number_id = "{graph.number.phone_number_id}"\n'
                f'token = "{graph.token}"\napp_secret = "{APP_SECRET}"\ngroups = true\n'
            )
            config.chmod(0o600)

            def taken() -> Sequence[str]:
                return [message.text for message in graph.taken]

            async def come_in(text: str) -> None:
                graph.inbound("+15551112222", text=text)

            yield Subject(
                argv=[sys.executable, "-m", "drivers.whatsapp_cloud"],
                device_key="main",
                channel=CHANNEL_WHATSAPP,
                source=graph.number.number,
                destination=GROUP,
                taken=taken,
                environment={
                    "INFINIREACH_WHATSAPP_CONFIG": str(config),
                    "INFINIREACH_WHATSAPP_RECOVER_S": "1",
                },
                come_in=come_in,
            )
