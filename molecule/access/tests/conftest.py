pytest_plugins = ["lab.fixtures", "lab.virtual_keys"]
