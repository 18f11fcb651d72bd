"""Jobs on SageMaker: what is printed of a request, and the service's calls."""
