"""What PID 1 promises when it runs from source, promised by the static executable, too."""

from tests.pid1.test_exit_codes import *  # noqa: F403
from tests.pid1.test_init_duties import *  # noqa: F403
from tests.pid1.test_leftovers import *  # noqa: F403
from tests.pid1.test_output import *  # noqa: F403
from tests.pid1.test_program_options import *  # noqa: F403
from tests.pid1.test_reload import *  # noqa: F403
from tests.pid1.test_stopping import *  # noqa: F403
from tests.pid1.test_up_and_down import *  # noqa: F403
