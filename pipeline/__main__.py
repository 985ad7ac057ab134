"""`python -m pipeline` is `mnist-pipeline`."""

from pipeline.cli import main

if __name__ == "__main__":
    main()
