from .user_script import find_script as find_script
