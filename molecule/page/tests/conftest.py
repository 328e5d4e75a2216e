pytest_plugins = ["lab.fixtures", "lab.browser"]
