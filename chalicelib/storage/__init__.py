"""DynamoDB: the models of the tables, and one repository for each."""
