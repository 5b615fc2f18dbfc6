"""The data set operator of Alnair: data sets are mounted into Alluxio, loaded, checked, and there before the training starts."""
