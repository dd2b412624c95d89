module cdk8s-prefect/test/cluster/modules/pause

go 1.26.0
