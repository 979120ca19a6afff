"""Make the simulated providers of a configuration's channels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, cast

from gateway.domain.errors import Misconfigured
from gateway.domain.texts import Text, text
from gateway.ports import ChannelContext, ChannelSettings
from gateway.ports.registry import Registry
from gateway.settings.files import ChannelConfig, Settings
from gateway.simulation.roles import Provider


class ProviderClass(Protocol):
    """The protocol of a simulator class, which is an adapter's `Spec.simulator` in BUILTIN."""

    def from_settings(self, settings: ChannelSettings, context: ChannelContext, *, deliver_to: str | None) -> Provider:
        """Return the simulated provider of a channel; raises `ValueError` if its settings name the real provider.

        `deliver_to` is the gateway's base URL on this machine: webhooks are sent there, and signed for the public URL.
        """


@dataclass(frozen=True, slots=True)
class Simulated:
    """A configured channel and its simulated provider."""

    channel: ChannelConfig
    provider: Provider

    @property
    def setting(self) -> Text:
        """Return the place of the setting with the provider's address, for error messages."""
        channel = self.channel
        return text(
            '{setting} of channel {channel} or of [adapters."{adapter}"]',
            setting=self.provider.setting,
            channel=f"{channel.region}/{channel.name}",
            adapter=channel.adapter_key,
        )


def simulated(settings: Settings, registry: Registry, channel_id: str | None) -> list[Simulated]:
    """Return the channels that have a simulator, or only the channel `channel_id` ("region/name"); none is started.

    Raises `Misconfigured` if there is no such channel, or if one is set up for the real provider.
    """
    channels = [
        channel
        for channel in settings.channels
        if registry.spec(channel.adapter_key).simulator and channel_id in (None, f"{channel.region}/{channel.name}")
    ]
    if not channels:
        raise Misconfigured(text("no channel {channel} with a simulator is configured", channel=channel_id or ""))
    server = settings.gateway.server
    deliver_to = f"http://{server.host}:{server.port}"
    return [Simulated(channel, _provider(registry, channel, deliver_to)) for channel in channels]


def _provider(registry: Registry, channel: ChannelConfig, deliver_to: str) -> Provider:
    provider_class = cast("ProviderClass", registry.simulator(channel.adapter_key))
    try:
        return provider_class.from_settings(channel.settings, channel.context, deliver_to=deliver_to)
    except ValueError as exc:
        raise Misconfigured(str(exc)) from exc
