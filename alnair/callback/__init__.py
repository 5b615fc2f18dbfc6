"""What runs inside the ansible-playbook that the runner starts."""
