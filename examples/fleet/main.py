# An agent for each team of teams.yaml, each in a folder of its own: dist/fraud/fraud.k8s.yaml and so on.
from pathlib import Path

from cdk8s_prefect import Fleet

Fleet(file=str(Path(__file__).with_name("teams.yaml"))).synth()
