"""Opens what the options of a reflector name: the directory, the address, the certificate, the accounts."""

from __future__ import annotations

import time

from medusa.directory import Directory, DirectoryError, Owner, open_directory
from medusa.reflector.auth.authenticator import Authenticator
from medusa.reflector.cluster.lease import AddressLease, AddressTaken, Holder
from medusa.reflector.cluster.site_address import check_address
from medusa.reflector.config import ConfigError, ReflectorConfig
from medusa.reflector.net.certificate import Certificate
from medusa.reflector.sessions.claims.names import Claims
from medusa.reflector.tickets.desk import TicketDesk
from medusa.reflector.tickets.ended import EndedHere
from medusa.reflector.tickets.key import check_state_dir, ticket_key


def lease_on(config: ReflectorConfig, directory: Directory, owner: Owner, holder: Holder) -> AddressLease:
    """Returns the lease on the address of this reflector. Takes the lease at once if the directory answers.

    Args:
        owner: this reflector, with its address.
        holder: the process that holds the lease.

    Raises:
        ConfigError: the address is not allowed, or another reflector has it.
    """
    check_address(config, owner.address)
    lease = AddressLease(directory.leases(), owner.address, holder, config.timeouts.claim_ttl)
    try:
        lease.take()
    except AddressTaken as error:
        raise ConfigError("advertise: %s" % error) from None
    except DirectoryError:
        pass  # it is taken when the directory answers; until then no session begins
    return lease


def directory_of(config: ReflectorConfig, secret: bytes) -> Directory:
    """Returns the directory that the options name. Raises ConfigError if its URL cannot be used.

    `secret`: the secret that all reflectors of the site share.
    """
    timeouts = config.timeouts
    try:
        return open_directory(config.directory, timeouts.directory_timeout, timeouts.directory_connections, secret)
    except DirectoryError as error:
        raise ConfigError("directory: %s" % error) from None


def certificate_of(config: ReflectorConfig) -> Certificate | None:
    """Returns the certificate for TLS; None if connections are not encrypted. Raises ConfigError."""
    if config.tls_cert is None or config.tls_key is None:
        return None
    return Certificate(config.tls_cert, config.tls_key)


def authenticator_of(config: ReflectorConfig) -> Authenticator | None:
    """Returns an Authenticator, which checks signatures; None if there are no accounts.

    Raises ConfigError if the directory of accounts cannot be used.
    """
    if config.accounts is None:
        return None
    from medusa.reflector.auth.accounts import Accounts, AccountsError  # takes long to import

    try:
        return Authenticator(config, Accounts(config.accounts))
    except AccountsError as error:
        raise ConfigError("accounts: %s" % error) from None


def desk_of(config: ReflectorConfig, secret: bytes, claims: Claims) -> TicketDesk:
    """Returns a TicketDesk, which gives and checks tickets.

    Args:
        secret: the secret that all reflectors of the site share; b"" if there is none.
        claims: the claims of this reflector on sessions.

    Raises:
        ConfigError: --state-dir cannot be used.
    """
    key = ticket_key(secret, config.state_dir)
    folder = check_state_dir(config.state_dir) if config.state_dir is not None else None
    ended = claims.marks if config.shared else EndedHere(folder, time.time)
    return TicketDesk(config, key, ended, time.time)
