"""Where an InfluxDB server is, and how to get in."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from controller.config.fields import Float, Name, Section, Text, Url


class InfluxServer(Section):
    """2.x and 3: org and token_file; 1.x with users: username and password_file. Files are relative to the
    configuration file.
    """

    url: Url
    database: Name = "umbra"  # a bucket in 2.x
    org: Text = "umbra"
    token_file: Text | None = None
    username: Text | None = None
    password_file: Text | None = None
    ca_file: Text | None = None
    timeout_s: Annotated[Float, Field(ge=0.5, le=300)] = 10.0


FILES = ("token_file", "password_file", "ca_file")
