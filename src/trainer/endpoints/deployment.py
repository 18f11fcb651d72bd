"""A model on its way to an endpoint."""

from __future__ import annotations

from dataclasses import dataclass

from trainer.endpoints.deploy_options import DeployOptions, pairs

# The tag, or label, of all that `trainer deploy` makes; its value is the endpoint's name.
TAG = "trainer-deploy"
# The tag that says where the model lies that `trainer deploy` uploaded.
ARTIFACT_TAG = "trainer-deploy-artifact"


@dataclass(frozen=True, kw_only=True)
class Deployment:
    """A model, where it goes, and under which name.

    Attributes:
        name: The name of the endpoint.
        stamp: Date and time, which tell its models from earlier ones of the same endpoint.
        artifact: Url or folder of the packed model.
        is_uploaded: True if it is put there for this endpoint, False if it lay there.
        options: Of the verb.
    """

    name: str
    stamp: str
    artifact: str
    is_uploaded: bool
    options: DeployOptions

    @property
    def unique_name(self) -> str:
        """The name of what each deployment makes anew, such as the model."""
        return f"{self.name}-{self.stamp}"

    @property
    def env(self) -> dict[str, str]:
        """The variables of the container."""
        return pairs(self.options.env, "--env")

    @property
    def tags(self) -> dict[str, str]:
        """The tags of all that is made, our own included."""
        return {**pairs(self.options.tags, "--tags"), TAG: self.name}
