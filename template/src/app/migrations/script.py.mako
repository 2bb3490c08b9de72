"""${message}.

Revision ID: ${up_revision}
Revises: ${comma(down_revision) or "nothing"}
"""

import sqlalchemy as sa
from alembic import op
${imports if imports else ""}

revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}
branch_labels = ${repr(branch_labels)}
depends_on = ${repr(depends_on)}
<%!
    def plain(statements):
        """Return the statements without the comments that Alembic adds."""
        return "\n".join(line for line in statements.splitlines() if "# ###" not in line).strip()
%>


def upgrade() -> None:
    ${plain(upgrades) if upgrades else "pass"}


def downgrade() -> None:
    ${plain(downgrades) if downgrades else "pass"}
